"""The layouts by name, one line each."""

from zsad.data.layouts.base import Layout
from zsad.registry import Registry

LAYOUTS: Registry[Layout] = Registry(
    "data set layout",
    {
        "demo": "zsad.data.layouts.mvtec:MvtecLayout",
        "mvtec": "zsad.data.layouts.own_mvtec:OwnMvtecLayout",
        "mvtec_ad": "zsad.data.layouts.mvtec:MvtecLayout",
        "mvtec_ad_2": "zsad.data.layouts.mvtec_ad_2:MvtecAd2Layout",
        "mvtec_loco": "zsad.data.layouts.mvtec_loco:MvtecLocoLayout",
        "visa": "zsad.data.layouts.visa:VisaLayout",
        "btad": "zsad.data.layouts.btad:BtadLayout",
        "mpdd": "zsad.data.layouts.mvtec:MvtecLayout",
        "magnetic_tile": "zsad.data.layouts.magnetic_tile:MagneticTileLayout",
        "kolektor_sdd2": "zsad.data.layouts.kolektor_sdd2:KolektorSdd2Layout",
        "real_iad": "zsad.data.layouts.real_iad:RealIadLayout",
        "elpv": "zsad.data.layouts.elpv:ElpvLayout",
        "textile": "zsad.data.layouts.textile:TextileLayout",
        "folder": "zsad.data.layouts.folder:FolderLayout",
        "csv": "zsad.data.layouts.csv_table:CsvLayout",
    },
)
