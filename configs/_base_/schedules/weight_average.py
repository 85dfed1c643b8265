# Stochastic weight averaging: validation, test and the saved `state_dict` use the average.
custom_hooks = [dict(type='EMAHook', ema_type='StochasticWeightAverage')]
