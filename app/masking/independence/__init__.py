"""Whether a template's structure can depend on what ordinary messages say: proven on its syntax tree."""
