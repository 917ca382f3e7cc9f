"""The schema behind AWS AppSync: a field that it asks a Lambda function for, answered.

AppSync parses, validates and picks what was selected; it asks for one field at a time, and cannot
tell a function what is selected of it (named fragments are withheld). So each field is answered
whole, by an operation of our own schema that is made once, and what is dear to read is a field that
AppSync asks for by itself.
"""
