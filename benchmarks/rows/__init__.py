"""The rows of the table of requests, a file for each kind of app.

In each group the first row is the bare app; what the others cost is what they
take longer. Every app answers the same two bytes, and every view looks at the
user, so that whoever is lazy does its work. Rivals are set up as their
documentation says, with its recommended options and a store of the same kind.
"""
