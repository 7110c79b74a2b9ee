"""Programs with the interface of those that MONAI's public bundles bring, written anew and much smaller."""

RETINANET_INFERER = """
from monai.inferers.inferer import Inferer

class RetinaNetInferer(Inferer):
    def __init__(self, detector):
        Inferer.__init__(self)
        self.detector = detector

    def __call__(self, inputs, network, *args, **kwargs):
        self.detector.network = network
        self.detector.training = network.training
        size = self.detector.inferer.roi_size
        large = any(one[0].numel() >= size[0] * size[1] * size[2] for one in inputs)
        return self.detector(inputs, *args, use_inferer=large, **kwargs)
"""

VALVE_LANDMARKS = """
import numpy as np
import torch
import monai
from monai.transforms import MapTransform

class PointRegressor(torch.nn.Module):
    def __init__(self, in_shape, out_shape, channels, strides):
        super().__init__()
        self.out_shape = tuple(out_shape)
        self.pool = torch.nn.AvgPool2d(4)
        count = int(np.product(in_shape)) // 16
        self.linear = torch.nn.Linear(count, int(np.product(out_shape)))

    def forward(self, x):
        return self.linear(self.pool(x).flatten(1)).reshape(-1, *self.out_shape)

class LandmarkInferer(monai.inferers.Inferer):
    def __init__(self, spatial_dim=0, stack_dim=-1):
        self.spatial_dim, self.stack_dim = spatial_dim, stack_dim

    def __call__(self, inputs, network, *args, **kwargs):
        axis = self.spatial_dim + 2
        results = [network(inputs.select(axis, n), *args, **kwargs) for n in range(inputs.shape[axis])]
        return torch.stack(results, self.stack_dim)

class NpySaverd(MapTransform):
    def __init__(self, keys, output_dir, data_root_dir):
        super().__init__(keys)
        raise AssertionError("a saver was made")
"""

DEEPEDIT_TRANSFORMS = """
from monai.transforms.transform import Transform

class OrientationGuidanceMultipleLabelDeepEditd(Transform):
    def __init__(self, ref_image="image", label_names=None):
        self.ref_image, self.label_names = ref_image, label_names

    def __call__(self, data):
        if any(len(data.get(name, [])) for name in self.label_names):
            raise AssertionError("there are no clicks")
        return dict(data)
"""

CONCAT_IMAGES = """
import numpy as np
from monai.transforms import InvertibleTransform
from monai.transforms.transform import MapTransform

class ConcatImages(MapTransform, InvertibleTransform):
    def __init__(self, keys_merge, keys_out, allow_missing_keys=True):
        self.keys, self.keys_out, self.allow_missing_keys = keys_merge, keys_out, allow_missing_keys

    def __call__(self, data):
        return {**data, self.keys_out: np.concatenate([data[key] for key in self.keys])}

    def inverse(self, data):
        return data
"""

VISTA_INFERER = """
from monai.apps.vista3d.inferer import point_based_window_inferer
from monai.inferers import Inferer, sliding_window_inference

class Vista3dInferer(Inferer):
    def __init__(self, roi_size, overlap, use_point_window=False, sw_batch_size=1):
        Inferer.__init__(self)
        self.roi_size, self.overlap, self.sw_batch_size = roi_size, overlap, sw_batch_size
        self.use_point_window = use_point_window

    def __call__(self, inputs, network, point_coords, point_labels, class_vector, labels=None, label_set=None,
                 prev_mask=None):
        pointed = self.use_point_window and point_coords is not None
        return (point_based_window_inferer if pointed else sliding_window_inference)(
            inputs=inputs, roi_size=self.roi_size, sw_batch_size=self.sw_batch_size, transpose=True, predictor=network,
            mode="gaussian", overlap=self.overlap, point_coords=point_coords, point_labels=point_labels,
            class_vector=class_vector, prompt_class=class_vector, prev_mask=prev_mask, labels=labels,
            label_set=label_set,
        )
"""
