"""model_card.md: what someone must know who takes this model into use; Markdown, with every run.

card.py             model_card(...): reads a run's folders and fills the page
template.md.j2      the page
"""
