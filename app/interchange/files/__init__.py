"""From the bytes of a file to its records, bounded and with line numbers.

`bytes_in` bounded pieces · `sniffing` what kind of file · `limits` · then by kind: `json_records` with `strict_json`, `csv_records`
with `csv_columns` and `formulas`, `parquet_records`.
"""
