"""A lab proven: its differing cells explained, a packet traced."""
