"""The drivers of containers' networks: a table of rules each, with the sources that say so."""
