"""Where each turn lies in a rendering: located by marks, proven by comparing renderings.

The way is in ../README.md. `locate` leads: `renderings` renders with `marks` and without, `probes` what the template
writes by itself, `borders` where texts lie, `starts` and `ends` (`tails`, `end_tokens`) where turns do, `comparison`
of pieces, `layout` the result. `spelling`: control tokens in people's words. `carried`: what of the messages the
rendering holds, by `planting` marks in their pieces and rendering them (`plantings`). `known_layouts`: the short cut
where a template is proven independent.
"""
