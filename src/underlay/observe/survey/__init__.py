"""What a machine's cables and switch let it do: facts read there, frames sent, and sentences.

``on_host/`` is what runs on the machines. ``machines.py`` leads it there, ``frames.py`` decides
which frames are sent and reads what came of them. All of that is one ``Survey`` (``model.py``), and
the rest is pure: ``sentences.py`` says what will work, ``lab_file.py`` makes a lab of it, and
``drift.py`` compares two.
"""
