"""The losses that several processes log."""
import torch

from mmseg_vittm.engine.hooks import mean_loss_hook


def test_losses_are_means_over_processes(monkeypatch):
    outputs = dict(loss=torch.tensor(2.0, requires_grad=True), acc=torch.tensor([4.0]), note='text')
    hook = mean_loss_hook.MeanLossHook()
    hook.after_train_iter(None, 0, outputs=outputs)
    assert outputs['loss'].requires_grad  # alone, nothing is touched

    def all_reduce(values, op):
        assert op == 'mean'
        values += 1  # as if the other process had 2 more
    monkeypatch.setattr(mean_loss_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(mean_loss_hook, 'all_reduce', all_reduce)
    hook.after_train_iter(None, 0, outputs=outputs)
    assert float(outputs['loss']) == 3 and float(outputs['acc']) == 5 and outputs['note'] == 'text'
