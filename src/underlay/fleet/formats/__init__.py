"""One reader a file format: what each says about networks, interfaces and addresses."""
