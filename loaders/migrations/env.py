"""Alembic's entry: runs the revisions on the connection it was handed.

Effects: the tables of that connection's database.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
