"""Where each turn lies in a rendering: located by marks, proven by comparing renderings."""
