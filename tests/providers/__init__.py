"""Providers: is each feed read right?"""
