"""The pictures of the documents, made from a real server with real runs: `make pictures`.

`scene` what there is to see, trained for it · `camera` pages as files of a few kilobytes · `__main__` which pictures there are.
"""
