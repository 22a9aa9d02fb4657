"""The arguments of a job: what a class declares, and how a row stores the values as JSON.

Entry points: `declared` reads a class's declarations and checks values; `encoding` turns values into JSON and
back; `json_data` limits the data of a row; `document` finds changes inside it; `row_values` checks the other
values of a row.
"""
