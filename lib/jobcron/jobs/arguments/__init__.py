"""The arguments of a job: what a class declares, and how values are kept as JSON.

`declared` reads and checks what a class declares; `encoding` turns values into JSON and back; `json_data`
bounds what a row may hold; `row_values` are mapped objects, kept by their primary key.
"""
