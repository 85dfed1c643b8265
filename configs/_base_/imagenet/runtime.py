# As default_runtime.py, for classifiers: no pictures, scores of the averaged weights and of the plain ones.
_base_ = '../default_runtime.py'
tta_model = None
default_hooks = dict(
    _delete_=True,
    **{name: hook for name, hook in _base_.default_hooks.items() if name != 'pictures'},
    same_classes=dict(type='SameClassesHook'),
    plain_weights=dict(type='PlainWeightsHook'))
