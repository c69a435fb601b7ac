"""Every sentence about a file, a record, a source or an export: one code and one template each."""
