# The same weights as camvid_past.py, and nothing but the present frame to read: what they give without a past.
_base_ = './camvid_past.py'
model = dict(temporal=dict(num_frames=1))
