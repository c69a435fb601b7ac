"""Whether a template's structure can depend on what ordinary messages say: proven on its syntax tree.

`proof` leads · `statements` what each writes and makes names hold · `kinds` what expressions may hold · `outcomes` tests that come
out alike for every text · `facts` what is known of the names meanwhile.
"""
