"""The platform's list parameters: the filter language, sorting and paging."""
