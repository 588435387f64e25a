"""The first page: what the workbook is, what it costs, how its numbers are read."""
