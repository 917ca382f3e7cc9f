"""Splitting a query into map, reduce and finish."""
