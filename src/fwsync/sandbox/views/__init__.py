"""Data views: a specification of columns, turned into a table over the containers and files below a container."""
