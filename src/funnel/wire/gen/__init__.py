"""Made by `make proto`: change wire/proto, never this."""
