"""The choices that decide which tokens are trained, as forms, addresses, REST and commands carry them.

`fields` each setting, once: begin here · `words` them for people · `arguments` what a chat template is given besides · `choices` of
the preview page · `tokenizers` kept between requests.
"""
