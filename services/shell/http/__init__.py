"""What all HTTP APIs share: server, problem documents, middleware, pages, safe repeats."""
