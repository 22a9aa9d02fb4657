"""The floors: the same work in bare SQL, from a bare driver connection, as little Python as there can be."""
