"""What every domain stands on: settings, database, errors, translation, templates. Knows no domain."""
