"""A page that a person reads in a browser: `l2a report`.

contents.py    what it shows: the queries, over the tables and views of sql/
markup.py      elements, with every text escaped
drawings.py    intervals as small drawings
page.py        sections, and the whole
command.py     `l2a report`
"""
