"""The steps that bring a ledger of an earlier release up to date, run by Alembic."""
