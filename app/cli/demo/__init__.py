"""The command that shows the whole way on this machine.

`command` leads · `server` the one it speaks to · `steps` what it does there · `budget` how its minutes are shared · `view` what it
looks like · `report` what came of it.
"""
