"""Codes and encoder in the formats of engines that exist, for those who outgrow one machine.

rows        the table of images that every format holds: number, path, class, attributes, words of the code
parquet     codes.parquet and bits.parquet, for DuckDB, ClickHouse, Spark and others
csv_rows    codes.csv, for PostgreSQL
faiss_index codes.faiss, a binary index of faiss
onnx_model  encoder.onnx: pixels in, codes out
query       one masked or weighted query, ready to be written as SQL
sql         the SQL of masked search for DuckDB, ClickHouse, Spark and PostgreSQL
folder      the folder of an export: which files in it are ours
optional    libraries that only an export needs
"""
