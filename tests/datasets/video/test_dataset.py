"""`VideoSegDataset`: frames in order, clips in training, single frames in testing, labels on some frames."""
import itertools
import pickle

import numpy as np
import pytest
import torch
from tiny_videos import CLASSES, LOAD, SIZE, frame_of, save, video_config, write_videos

from mmseg_vittm.datasets import VideoSegDataset
from mmseg_vittm.errors import DataError, InputError

NUMBERS = dict(b=[3, 1, 2, 11], a=[5, 4])
ORDER = [('a', 4), ('a', 5), ('b', 1), ('b', 2), ('b', 3), ('b', 11)]
PACK = dict(type='PackSegInputs')
AUGMENT = [dict(type='RandomResize', scale=(28, 22), ratio_range=(0.5, 2.0), keep_ratio=True),
           dict(type='RandomCrop', crop_size=(8, 9), cat_max_ratio=0.75), dict(type='RandomFlip', prob=0.5),
           dict(type='PhotoMetricDistortion'), PACK]


def listed(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def named(frames):
    return [(frame['video'], frame['frame_number']) for frame in frames]


def metainfo_of(clip):
    return [frame['data_samples'].metainfo for frame in clip]


@pytest.mark.parametrize('serialize', [False, True])
def test_frames_are_listed_in_order(make, serialize):
    frames = listed(make(NUMBERS, serialize_data=serialize))
    assert named(frames) == ORDER
    assert [frame['frame_index'] for frame in frames] == [0, 1, 0, 1, 2, 3]
    for frame, (video, number) in zip(frames, ORDER, strict=True):
        assert frame['img_path'].endswith(f'set/images/{video}/frame_{number:04d}.png')
        assert frame['seg_map_path'].endswith(f'set/labels/{video}/frame_{number:04d}.png')
        assert frame['is_labelled'] and frame['region_path'] is None and frame['reduce_zero_label'] is False
        assert frame['label_map'] is None and frame['seg_fields'] == []


def test_one_folder_of_all_frames(make):
    numbers = {'0006R0': [930, 960], '0016E5': [390, 420, 900]}
    assert named(listed(make(numbers, name='{video}_f{number:05d}', max_gap=30))) == [
        ('0006R0', 930), ('0006R0', 960), ('0016E5@390', 390), ('0016E5@390', 420), ('0016E5@900', 900)]


def test_a_pattern_and_a_list(make, tmp_path):
    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/list.txt').write_text('other/20-a\nother/1-a\n')
    dataset = make(dict(a=[1, 20, 300]), name='other/{number}-{video}', ann_file='list.txt',
                   frame_pattern=r'other/(?P<frame>\d+)-(?P<video>.*)')
    assert named(listed(dataset)) == [('a', 1), ('a', 20)]


def test_camvid(shared, mmseg_scope):
    """The runs that its README tells of: 1 Hz at 30 frames per second, and one clip at 15 Hz."""
    def videos(split, max_gap):
        dataset = VideoSegDataset(data_root=str(shared / 'camvid'), metainfo=dict(classes=('sky', )), max_gap=max_gap,
                                  data_prefix=dict(img_path=f'images/{split}', seg_map_path=f'annotations/{split}'))
        frames = listed(dataset)
        for before, frame in itertools.pairwise(frames):
            if frame['video'] == before['video']:
                assert 0 < frame['frame_number'] - before['frame_number'] <= max_gap
        return {frame['video']: frame['video_frames'] for frame in frames}
    assert videos('val', 2) == {'0016E5': 101}
    assert videos('train', 30) == {'0001TP': 62, '0006R0': 101, '0016E5@390': 17, '0016E5@901': 51,
                                   '0016E5@4350': 120, '0016E5@8190': 16}


def test_a_clip_holds_the_pixels_of_its_frames(make):
    dataset = make(dict(a=[1, 2, 3, 4, 5]), clip_length=3, stride=2)
    for index, numbers in enumerate([(1, 3, 5)] * 5):
        clip = dataset[index]
        assert len(clip) == 3
        for position, (frame, number) in enumerate(zip(clip, numbers, strict=True)):
            image, label = frame_of('a', number)
            assert np.array_equal(frame['inputs'].numpy(), image[..., ::-1].transpose(2, 0, 1))
            assert np.array_equal(frame['data_samples'].gt_sem_seg.data[0], label)
            about = frame['data_samples'].metainfo
            assert (about['video'], about['frame_number'], about['frame_index'], about['is_labelled']) == (
                'a', number, number - 1, True)
            assert (about['clip_position'], about['clip_length'], about['region_path']) == (position, 3, None)


def test_clips_begin_at_their_frame_or_as_late_as_possible(make):
    dataset = make(dict(a=[0, 1, 2, 3, 4], b=[0, 1, 2]), clip_length=3)
    begins = [[(one['video'], one['frame_index']) for one in metainfo_of(dataset[i])][0] for i in range(len(dataset))]
    assert begins == [('a', 0), ('a', 1), ('a', 2), ('a', 2), ('a', 2), ('b', 0), ('b', 0), ('b', 0)]
    assert len(dataset[0]) == len(dataset[7]) == 3


def test_clips_of_one_frame(make):
    dataset = make(NUMBERS)
    assert [len(dataset[i]) for i in range(len(dataset))] == [1] * 6
    assert named(metainfo_of(dataset[4])) == [('b', 3)] and metainfo_of(dataset[4])[0]['clip_length'] == 1


def test_videos_too_short_are_left_out(make, log_lines):
    dataset = make(dict(long=range(7), short=[1, 2, 3, 4], tiny=[1]), clip_length=3, stride=[3, 2], test_mode=False)
    assert {frame['video'] for frame in listed(dataset)} == {'long'} and len(dataset) == 7
    lines = [line for line in log_lines.of('INFO', 'WARNING') if 'Left out' in line]
    assert len(lines) == 1 and "'short' with 4" in lines[0]
    assert '2 videos have fewer than the 5 frames of a clip (clip_length=3, stride=2)' in lines[0]
    assert len(make(dict(long=range(7), short=[1, 2, 3, 4], tiny=[1]), clip_length=3, stride=3, test_mode=True)) == 12
    with pytest.raises(InputError, match='all 3 videos have fewer than the 8 frames .*make clip_length or stride'):
        make(dict(long=range(7), short=[1, 2], tiny=[1]), clip_length=8)


def test_a_choice_of_frames(make):
    numbers = dict(a=range(4), b=range(5))
    assert named(listed(make(numbers, indices=5))) == [('a', 0), ('a', 1), ('a', 2), ('a', 3), ('b', 0)]
    dataset = make(numbers, indices=[8, 1, 2, 0, 7, 6], clip_length=3)
    assert [(frame['video'], frame['frame_number'], frame['frame_index']) for frame in listed(dataset)] == [
        ('a', 0, 0), ('a', 1, 1), ('a', 2, 2), ('b', 2, 0), ('b', 3, 1), ('b', 4, 2)]
    assert named(metainfo_of(dataset[4])) == [('b', 2), ('b', 3), ('b', 4)]
    assert {frame['video'] for frame in listed(make(numbers, indices=6, clip_length=3))} == {'a'}


def test_testing_gives_single_frames(make):
    dataset = make(NUMBERS, test_mode=True, clip_length=4, pipeline=[*LOAD, dict(type='PackSegInputs', meta_keys=())])
    for index, (video, number) in enumerate(ORDER):
        image, label = frame_of(video, number)
        frame = dataset[index]
        assert np.array_equal(frame['inputs'].numpy(), image[..., ::-1].transpose(2, 0, 1))
        assert np.array_equal(frame['data_samples'].gt_sem_seg.data[0], label)
        about = frame['data_samples'].metainfo
        place = [0, 1, 0, 1, 2, 3][index]
        assert about == dict(video=video, video_frames=dict(a=2, b=4)[video], frame_number=number, is_labelled=True,
                             frame_index=place, clip_position=place, region_path=None)


def test_test_time_augmentation(make):
    pipeline = [LOAD[0], dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)], [LOAD[1]], [PACK]])]
    packed = make(NUMBERS, test_mode=True, pipeline=pipeline)[3]
    assert [(one.video, one.frame_number) for one in packed['data_samples']] == [('b', 2)] * 2


def test_one_augmentation_per_clip(make, tmp_path):
    """Frames that are all one picture stay it; other clips are augmented otherwise."""
    dataset = make(dict(a=range(6)), clip_length=4, pipeline=[*LOAD, *AUGMENT])
    image, label = frame_of('a', 0)
    for number in range(6):
        save(tmp_path / f'set/images/a/frame_{number:04d}.png', image)
        save(tmp_path / f'set/labels/a/frame_{number:04d}.png', label)
    np.random.seed(0)
    clips = [dataset[i % 6] for i in range(24)]
    for clip in clips:
        for frame in clip[1:]:
            assert torch.equal(frame['inputs'], clip[0]['inputs'])
            assert torch.equal(frame['data_samples'].gt_sem_seg.data, clip[0]['data_samples'].gt_sem_seg.data)
            assert frame['data_samples'].flip == clip[0]['data_samples'].flip
    for one, other in itertools.combinations(clips, 2):
        assert not torch.equal(one[0]['inputs'], other[0]['inputs'])


def test_the_same_numbers_give_the_same_clip(make):
    dataset = make(dict(a=range(9)), clip_length=3, stride=[1, 2, 3], pipeline=[*LOAD, *AUGMENT])
    drawn = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        drawn.append([(metainfo_of(dataset[0]), [frame['inputs'] for frame in dataset[0]]) for _ in range(5)])
    for one, other in zip(drawn[0], drawn[1], strict=True):
        assert one[0] == other[0] and all(map(torch.equal, one[1], other[1]))
    assert [one[0] for one in drawn[0]] != [one[0] for one in drawn[2]]


@pytest.mark.parametrize('reduce', [False, True])
def test_frames_without_label(make, reduce):
    dataset = make(dict(a=range(4)), unlabelled=(('a', 1), ('a', 3)), labels_optional=True, clip_length=4,
                   reduce_zero_label=reduce, ignore_index=255)
    assert [frame['is_labelled'] for frame in listed(dataset)] == [True, False, True, False]
    assert [frame['seg_map_path'] is None for frame in listed(dataset)] == [False, True, False, True]
    for number, frame in enumerate(dataset[0]):
        label = frame['data_samples'].gt_sem_seg.data[0].numpy()
        assert frame['data_samples'].is_labelled == (number % 2 == 0)
        wanted = frame_of('a', number)[1] if number % 2 == 0 else np.full(SIZE, 255, np.uint8)
        if reduce and number % 2 == 0:
            wanted = np.where(wanted == 0, 255, np.where(wanted == 255, 255, wanted.astype(int) - 1))
        assert np.array_equal(label, wanted)


def test_unlabelled_frames_go_through_augmentation_and_testing(make):
    frames = dict(a=range(4))
    without = (('a', 0), ('a', 1), ('a', 3))
    clip = make(frames, unlabelled=without, labels_optional=True, clip_length=4, pipeline=[*LOAD, *AUGMENT])[0]
    labels = [frame['data_samples'].gt_sem_seg.data for frame in clip]
    assert len({label.shape for label in labels}) == 1
    assert [bool((label == 255).all()) for label in labels][:2] == [True, True] and (labels[2] != 255).any()
    pipeline = [LOAD[0], dict(type='Resize', scale=(28, 22)), LOAD[1], PACK]
    tested = make(frames, unlabelled=without, labels_optional=True, test_mode=True, pipeline=pipeline)[1]
    assert tested['inputs'].shape == (3, 22, 28) and tested['data_samples'].gt_sem_seg.data.shape == (1, *SIZE)


def test_without_any_labels(make):
    prefix = dict(img_path='images')
    frame = make(NUMBERS, data_prefix=prefix, pipeline=[LOAD[0], PACK], test_mode=True)[0]
    assert frame['data_samples'].is_labelled is False and 'gt_sem_seg' not in frame['data_samples']
    with pytest.raises(InputError, match="LoadAnnotations, and data_prefix no 'seg_map_path'; give it, or set labels"):
        make(NUMBERS, data_prefix=prefix)
    frame = make(NUMBERS, data_prefix=prefix, labels_optional=True)[0][0]
    assert (frame['data_samples'].gt_sem_seg.data == 255).all()


def test_labels_found_for_no_frame(make, tmp_path):
    (tmp_path / 'set/empty').mkdir(parents=True)
    for folder in ('empty', 'nowhere'):
        with pytest.raises(DataError, match=rf"set/{folder}: .*correct data_prefix\['seg_map_path'\]"):
            make(NUMBERS, data_prefix=dict(img_path='images', seg_map_path=folder), labels_optional=True)


def test_regions(make, tmp_path):
    save(tmp_path / 'set/hidden/b/frame_0002.png', np.ones(SIZE, np.uint8))
    dataset = make(NUMBERS, data_prefix=dict(img_path='images', seg_map_path='labels', region_path='hidden'),
                   clip_length=2)
    paths = [frame['region_path'] for frame in listed(dataset)]
    assert [path is not None for path in paths] == [number == ('b', 2) for number in ORDER]
    assert paths[3] == str(tmp_path / 'set/hidden/b/frame_0002.png')
    assert [about['region_path'] for about in metainfo_of(dataset[2])] == [None, paths[3]]
    with pytest.raises(DataError, match=r"nowhere: .*correct data_prefix\['region_path'\], or leave it out"):
        make(NUMBERS, data_prefix=dict(img_path='images', seg_map_path='labels', region_path='nowhere'))
    assert listed(make(NUMBERS, data_prefix=dict(img_path='images', seg_map_path='labels', region_path=None)))


@pytest.mark.parametrize('wrong,said', [
    (dict(clip_length=0), 'clip_length must be a whole number, 1 or more, got 0'),
    (dict(clip_length=2.0), 'got 2.0'), (dict(clip_length=True), 'got True'),
    (dict(stride=0), 'stride must be .*got 0'), (dict(stride=[1, -2]), 'got -2'), (dict(stride=[]), 'empty list'),
    (dict(max_gap=0), 'max_gap must be .*got 0'), (dict(frame_pattern='('), 'frame_pattern'),
    (dict(pipeline=[PACK], clip_transforms=[dict(type='StillMotion')]), 'begins with PackSegInputs; begin it')])
def test_options_are_checked(make, wrong, said):
    with pytest.raises(InputError, match=said):
        make(NUMBERS, **wrong)


def test_unknown_options_are_refused(make):
    with pytest.raises(TypeError, match='clip_lenght'):
        make(NUMBERS, clip_lenght=2)


def test_files_that_are_not_there(make, tmp_path):
    with pytest.raises(DataError, match="no image ending in '.bmp' for VideoSegDataset"):
        make(NUMBERS, img_suffix='.bmp')
    with pytest.raises(InputError, match='cannot be listed .*nowhere.*correct data_root'):
        make(NUMBERS, data_prefix=dict(img_path='nowhere', seg_map_path='labels'))
    with pytest.raises(InputError, match='cannot be listed .*none.txt'):
        make(NUMBERS, ann_file='none.txt')
    with pytest.raises(DataError, match='no frame number in its name'):
        make(dict(a=[1]), name='{video}/first')


def test_two_frames_of_one_number(make, tmp_path):
    save(tmp_path / 'set/images/a/x5.png', frame_of('a', 1)[0])
    with pytest.raises(DataError, match="has the frame number 5 of video 'a', as .*images/a/(x5|frame_0005).png has"):
        make(NUMBERS)


def test_bad_files_are_named(make, tmp_path):
    dataset = make(dict(a=range(3)), clip_length=3)
    path = tmp_path / 'set/images/a/frame_0001.png'
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match='frame_0001.png: truncated') as error:
        dataset[0]
    assert error.value.samples_away == 1
    save(path, frame_of('a', 1, (11, 15))[0])
    save(tmp_path / 'set/labels/a/frame_0001.png', frame_of('a', 1, (11, 15))[1])
    with pytest.raises(DataError, match='0001.png: is 15 x 11 pixels, .*0000.png of the same video 14 x 11'):
        dataset[0]
    save(tmp_path / 'set/labels/a/frame_0001.png', np.full((11, 15), len(CLASSES), np.uint8))
    with pytest.raises(DataError, match='label 3 in 165 pixels, above the 3 classes'):
        dataset[0]


def test_a_dataset_that_draws_its_data_first(make, tmp_path):
    class Drawn(VideoSegDataset):
        def load_data_list(self):
            write_videos(tmp_path / 'drawn', dict(v=range(3)))
            return super().load_data_list()
    settings = video_config(tmp_path / 'drawn', clip_length=2)
    settings.pop('type')
    assert named(listed(Drawn(**settings))) == [('v', 0), ('v', 1), ('v', 2)]
    lazy = Drawn(**settings, lazy_init=True)
    assert not lazy._fully_initialized and len(lazy[1]) == 2


def test_workers_may_be_spawned_after_use(make):
    dataset = make(dict(a=range(3)), clip_length=2, pipeline=[*LOAD, *AUGMENT])
    dataset[0]
    again = pickle.loads(pickle.dumps(dataset))
    np.random.seed(5)
    one = dataset[1]
    np.random.seed(5)
    assert all(torch.equal(left['inputs'], right['inputs']) for left, right in zip(one, again[1], strict=True))
