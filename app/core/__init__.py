"""What every domain stands on: settings, database, errors, translation, templates. Knows no domain.

- the database: `database` engines and sessions · `transactions` what waits for a commit · `pieces` long changes in short ones ·
  `outages` a database that cannot serve · `unstorable` values it cannot keep · `migrations` · `documents`, `stored_models` JSON
  columns as models
- a request: `web` its transaction, the public mark · `routing` routes made when asked for · `pages_above` the page that an address
  belongs to · `addresses`, `strict_bodies` what clients may send ·
  `typed` numbers as people type them, `names` of things · `middleware` host, size, locale, headers · `slow_work` what takes long, apart ·
  `errors`, `responses` failures as people read them · `api_document` OpenAPI ·
  `ranges` parts of long answers
- a page: `templating` · `i18n` · `formatting` numbers and times · `markdown`
- everywhere: `settings` · `storage` files · `logging` · `console` how commands speak
"""
