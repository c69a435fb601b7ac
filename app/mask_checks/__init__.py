"""The proof over a whole version: its loss masks made, checked token by token and stored."""
