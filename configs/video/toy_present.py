# The same weights as toy_past.py, and nothing but the present frame to read: what they give without a past.
_base_ = './toy_past.py'
model = dict(temporal=dict(num_frames=1))
