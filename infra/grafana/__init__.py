"""The dashboard for Grafana: a table, and the document that is made from it."""
