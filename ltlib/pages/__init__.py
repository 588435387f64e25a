"""Pages: what notebooks declare, their execution, the chain, and the HTML that comes out."""
