"""The catalogue's entries as data, one module a group: licences, limits and defaults of every checkpoint by name."""
