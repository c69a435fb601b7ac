"""From the bytes of a file to its records, bounded and with line numbers.

`opening` is the way: `archives` what is packed · `bytes_in` bounded pieces · `encodings` text as UTF-8 · `sniffing` what kind of file ·
`limits` · then by kind: `json_records` with `strict_json` and `wrapped`, `column_json`, `csv_records` with `csv_columns` and `formulas`,
`sheets` with `sheet_marks`, `parquet_records`; `tables` what the kinds of tables have in common.
"""
