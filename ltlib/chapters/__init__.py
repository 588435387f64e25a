"""What the notebooks of a chapter call: one module for each document, and the judging of claims they share.

These modules sit above `ltlib.pages`: they put tables, figures and sentences on a page. Every sentence is made from
the numbers it speaks of, so that it is true in each profile.
"""
