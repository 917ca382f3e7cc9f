"""Services of AWS other than its table and its objects."""
