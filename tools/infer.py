"""Segments images, videos and cameras: python tools/infer.py CONFIG CHECKPOINT IMAGE|DIR|VIDEO|CAMERA|URL -o DIR"""
import argparse

import torch

import mmseg_vittm
from mmseg_vittm.commands.configs.reading import load_config
from mmseg_vittm.commands.interrupts import clean_end
from mmseg_vittm.commands.options import add_checkpoint_options, add_speed_options, check_device, run, whole
from mmseg_vittm.commands.segmenting.by_windows import CHOICES, MOST_PIXELS
from mmseg_vittm.commands.segmenting.segment_files import plan_files, segment_planned
from mmseg_vittm.commands.streaming.places import find_place, is_address
from mmseg_vittm.commands.streaming.streaming import StreamOptions, plan_stream, stream_planned
from mmseg_vittm.commands.trial.whole import try_to_build
from mmseg_vittm.errors import InputError
from mmseg_vittm.inference.fast import optimize_if_possible
from mmseg_vittm.weights.whole_model import load_model


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description='Segments an image, the images and videos of a folder, or a video; '
                                     'with --stream a video, a camera or an address, frame by frame as they come.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help="checkpoint of the whole model: tools/train.py's .pth, or .safetensors")
    parser.add_argument('input', help='an image, a video, or a folder of them; with --stream a video, a camera '
                        '(/dev/video0 or camera:0) or an address (rtsp://, http:// and others)')
    parser.add_argument('-o', '--out', required=True, metavar='DIR',
                        help='overlays with a legend go to DIR/overlays, labels (PNG of class indices) to DIR/labels, '
                        'each named after its input with its ending: a.jpg gives a.jpg.png, a video a.mp4 the overlay '
                        'a.mp4.mp4 and a folder labels/a.mp4 with a PNG per frame')
    parser.add_argument('--device', default='cuda:0' if torch.cuda.is_available() else 'cpu',
                        help='where to run (default: %(default)s)')
    add_checkpoint_options(parser)
    add_speed_options(parser)
    parser.add_argument('--opacity', type=float, default=0.5, help="weight of the labels' colours, 0 to 1 "
                        '(default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace files of an earlier run')
    parser.add_argument('--keep-going', action='store_true', help='segment the other files where one cannot be '
                        'segmented, then fail with a list of such files')
    _add_window_options(parser)
    _add_stream_options(parser)
    args = parser.parse_args()
    _check_stream_options(parser, args)
    return args


def _add_window_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('large images', 'GeoTIFF and others go by windows, at their own resolution, in '
                                      'memory that does not grow with them; labels are a GeoTIFF with the '
                                      "image's georeference, DIR/labels/NAME.tif. See docs/large_images.md.")
    group.add_argument('--by-windows', choices=CHOICES, default='auto',
                       help='auto: .vrt, .jp2, .img, and .tif with a georeference, with other than 3 bands of 8 bits, '
                       f'or of more than {MOST_PIXELS // 10**6} million pixels (default: auto)')
    group.add_argument('--tile', type=whole(1, 1 << 20), metavar='PIXELS',
                       help='side of the tiles that such an image is cut into, for models that see images whole '
                       '(default: the size that they were trained at)')
    group.add_argument('--overlap', type=whole(0, 1 << 20), metavar='PIXELS',
                       help='that neighbouring tiles share (default: an eighth of their side)')


def _add_stream_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('streams', 'Ctrl-C ends a stream in good order. See docs/streaming_use.md.')
    group.add_argument('--stream', action='store_true',
                       help='read, segment and write at the same time; a model with a memory uses it from frame to '
                       'frame. Speed and counts go to DIR/NAME.json')
    group.add_argument('--realtime', action='store_true',
                       help='drop frames that are late, and play a file at its own pace (default: every frame of a '
                       'file is segmented, and up to 64 of a camera wait)')
    group.add_argument('--segment', type=float, metavar='SECONDS',
                       help='begin a new overlay and a new folder of labels every so many seconds, NAME.0000.mp4 and '
                       'so on; 0 for never (default: 600 where the stream has no end, else 0)')
    group.add_argument('--timeout', type=float, metavar='SECONDS',
                       help='wait so long for a camera or an address to open and for its next frame (default: 10)')
    group.add_argument('--reconnect', type=float, metavar='SECONDS',
                       help='connect again for so long where a camera or an address goes away; 0 takes its end for the '
                       'end (default: 60)')
    group.add_argument('--camera-mode', metavar='WxH[@FPS][,FORMAT]',
                       help='of a camera, such as 1280x720@30,mjpeg (default: its own)')
    left_out = group.add_mutually_exclusive_group()
    left_out.add_argument('--no-overlay', action='store_true', help='write labels only')
    left_out.add_argument('--no-labels', action='store_true', help='write overlays only')


def _check_stream_options(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuses options that would do nothing."""
    if args.stream and args.keep_going:
        parser.error('--keep-going is for folders, not for --stream')
    if args.stream and (args.by_windows != 'auto' or args.tile is not None or args.overlap is not None):
        parser.error('--by-windows, --tile and --overlap are for images, not for --stream')
    flags = ('realtime', 'segment', 'timeout', 'reconnect', 'camera_mode', 'no_overlay', 'no_labels')
    given = [name for name in flags if getattr(args, name) is not parser.get_default(name)]
    if given and not args.stream:
        parser.error(f'{", ".join("--" + name.replace("_", "-") for name in given)}: only with --stream')


def _stream_options(args: argparse.Namespace) -> StreamOptions:
    given = {name: value for name in ('segment', 'timeout', 'reconnect') if (value := getattr(args, name)) is not None}
    return StreamOptions(realtime=args.realtime, camera_mode=args.camera_mode, overlay=not args.no_overlay,
                         labels=not args.no_labels, opacity=args.opacity, overwrite=args.overwrite, **given)


def main() -> None:
    """Runs the command line."""
    args = parse_args()
    mmseg_vittm.trust_checkpoints(args.trust_checkpoint)
    check_device(args.device)
    files = args.config, args.checkpoint
    if args.stream:
        plan = plan_stream(args.input, args.out, _stream_options(args), files)
    elif is_address(args.input):
        raise InputError(f'{find_place(args.input).shown}: a camera or an address needs --stream')
    else:
        plan = plan_files(args.input, args.out, args.opacity, args.overwrite, args.keep_going, files,
                          args.by_windows, args.tile, args.overlap)
    cfg = load_config(args.config, job='infer')
    try_to_build(cfg, 'infer')
    model = load_model(cfg, args.checkpoint, args.device, args.allow_partial)
    optimize_if_possible(model, args.dtype, args.compile)
    if args.stream:
        stream_planned(model, plan, args.dtype)
        return
    with clean_end():
        segment_planned(model, plan)


if __name__ == '__main__':
    run(main)
