"""Everything that runs without torch: web, REST, command line, masking and the rules of each domain."""
