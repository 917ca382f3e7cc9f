"""The API process: its application, its server, and what it serves beside GraphQL and REST."""
