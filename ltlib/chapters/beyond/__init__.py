"""The chapter `beyond`: the workbook's own questions."""
