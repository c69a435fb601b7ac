"""Chat with the base and the tuned model side by side.

`service`, `api`, `pages` · `work` what is asked of the worker. A desk of the worker's own answers (`worker/parent`).
"""
