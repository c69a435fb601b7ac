"""The choices that decide which tokens are trained, as forms, addresses, REST and commands carry them."""
