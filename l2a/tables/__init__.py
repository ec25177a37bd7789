"""The tables of a warehouse: their contracts, and how they are read and written."""
